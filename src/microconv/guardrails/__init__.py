"""What must hold before anything is sent: guardrails that are measured, and questions of ethics that are answered."""
