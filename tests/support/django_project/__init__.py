"""A small project of Django: a shop whose bot writes orders into the database, and answers them."""
