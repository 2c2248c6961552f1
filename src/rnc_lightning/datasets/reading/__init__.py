"""From files and tables to splits: what is read, what is checked, which samples a split gets."""
