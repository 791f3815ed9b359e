package store

// Upkeep is what keeps database and object store in order: deletions, retention, sweeps, checks, dead letters, and what
// operators ask. It sees all users.
type Upkeep struct {
	db          *DB
	predictions *Predictions
}
