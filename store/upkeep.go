package store

import "github.com/retainwise/millrace/store/internal/database"

// Upkeep is the view for maintenance: deletions, retention, sweeps, checks, dead letters, and operators' queries. It sees
// the rows of all users. It is safe for concurrent use.
type Upkeep struct {
	db          *database.DB
	predictions *Predictions
}
