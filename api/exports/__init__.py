"""What is handed out whole: one client's record, and an organisation's archive, which another installation takes in."""
