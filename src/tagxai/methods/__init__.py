"""Attribution methods, one file each."""
