"""The conversions, module by module; cases/ has files of other servers, and what they become."""
