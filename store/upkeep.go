package store

import "github.com/retainwise/millrace/store/internal/database"

// Upkeep is what keeps database and object store in order: deletions, retention, sweeps, checks, dead letters, and what
// operators ask. It sees all users.
type Upkeep struct {
	db          *database.DB
	predictions *Predictions
}
