// Package migrations holds the database schema as goose SQL files.
package migrations

import "embed"

// FS holds the migrations that schema.Migrate applies, in the order of their numbers.
//
//go:embed *.sql
var FS embed.FS
