"""Request + snapshot -> answer: responder, access lists, rate limit, client table, mode 6 answers."""
