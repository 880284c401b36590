"""What is drawn, with Textual; imported by the command alone, when it runs."""
