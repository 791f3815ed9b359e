package store

// ClaimPartSQL is the statement that finds the next part.
const ClaimPartSQL = claimPart

// AccountTables lists the tables that deleting an account clears.
func AccountTables() []string { return accountTables[:] }
