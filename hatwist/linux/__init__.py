"""The Linux kernel, behind interfaces that memory doubles provide too."""
