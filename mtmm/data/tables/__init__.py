"""From the columns of a table to the tensors of a data set."""
