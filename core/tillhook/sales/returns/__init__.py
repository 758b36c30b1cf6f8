"""Taking back what was sold: returns of some goods, cancellations of a whole sale, and the way of the money."""
