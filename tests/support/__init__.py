"""What tests of the whole house share: waiting, a sandbox and workers as processes, builders that read as speech."""
