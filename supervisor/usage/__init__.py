"""Turn samples of CPU, memory and I/O into a heat map and advice. Pure: rows in, values and text out."""
