"""What people read: the quality pages and reports, drawn from published marts and the quality schema."""
