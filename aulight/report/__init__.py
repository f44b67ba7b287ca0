"""Tables, figures and a page from finished runs."""
