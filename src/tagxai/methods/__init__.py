"""Attribution methods, one to a file; what families of them share is in `families`."""
