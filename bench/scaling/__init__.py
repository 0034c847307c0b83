"""Where the first limit lies as requests grow, and what users see of a spike: worked out, not measured on AWS."""
