"""Every tool and image the system needs, pinned once, got in one of two ways."""
