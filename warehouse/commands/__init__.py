"""What some commands of `warehouse` have to work out themselves before they can print it."""
