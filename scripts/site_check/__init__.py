"""The built site, checked: its links as files, and its pages in a browser."""
