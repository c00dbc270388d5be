"""Folders, tables, images and names as people leave them on a disk."""
