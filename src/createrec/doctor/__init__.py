"""What a bug report needs."""
