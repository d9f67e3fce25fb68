"""The lazy dataframe that users hold: its verbs, and what runs when one asks for rows."""
