"""What the samples of CPU, memory and I/O tell: a heat map, and advice. Pure: rows in, values and text out."""
