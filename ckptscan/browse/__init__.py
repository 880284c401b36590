"""The browser for the terminal: what it shows, as plain values; `screens` draws them."""
