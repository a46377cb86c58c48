"""What all pages share: style, script, charts and tables, in one file that asks nothing of the network."""
