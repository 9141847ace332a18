"""What clients want to reach: goals in levels and targets from 0 to 10, rated over time."""
