package store

// ClaimPartSQL is the statement that finds the next part.
const ClaimPartSQL = claimPart
