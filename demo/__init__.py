"""A made-up city and its weekly workbooks, written from a seed."""
