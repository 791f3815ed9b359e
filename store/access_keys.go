package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// AccessKeysMax is how many access keys a user may have.
const AccessKeysMax = 50

// ErrExpired means that an access key has expired.
var ErrExpired = errors.New("expired")

// AccessKey lets a machine act for a user. Its secret is known to its owner alone.
type AccessKey struct {
	ID         uuid.UUID
	Name       string // for people
	Prefix     string // what the secret begins with
	Scopes     []string
	CreatedAt  time.Time
	ExpiresAt  *time.Time // nil: never
	LastUsedAt *time.Time // to the minute; nil: never
}

const accessKeyColumns = `public_id, name, prefix, scopes, created_at, expires_at, last_used_at`

// CreateAccessKey adds a key whose secret has this SHA-256. A user with [AccessKeysMax] of them gets [ErrConflict].
// once is completed with it; nil: none.
func (a *Accounts) CreateAccessKey(
	ctx context.Context, userID int64, k AccessKey, secret [32]byte, once *RequestKey,
) (AccessKey, error) {
	var made AccessKey
	err := a.db.InTxAs(ctx, userID, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			INSERT INTO access_keys (public_id, user_id, name, prefix, scopes, expires_at, secret_hash)
			SELECT $1, $2, $3, $4, $5, $6, $7
			WHERE (SELECT count(*) FROM access_keys WHERE user_id = $2) < $8
			RETURNING `+accessKeyColumns,
			NewID(), userID, k.Name, k.Prefix, k.Scopes, k.ExpiresAt, secret[:], AccessKeysMax)
		if err != nil {
			return err
		}
		if made, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[AccessKey]); err != nil {
			return err
		}
		return once.complete(ctx, tx, made.ID)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrConflict
	}
	if err != nil {
		return AccessKey{}, fmt.Errorf("create access key: %w", err)
	}
	return made, nil
}

// AccessKeys lists a user's keys, newest first: at most [AccessKeysMax].
func (a *Accounts) AccessKeys(ctx context.Context, userID int64) ([]AccessKey, error) {
	var list []AccessKey
	err := a.db.ReadAs(ctx, userID, `
		SELECT `+accessKeyColumns+` FROM access_keys WHERE user_id = $1 ORDER BY id DESC LIMIT $2`,
		[]any{userID, AccessKeysMax}, func(rows pgx.Rows) (err error) {
			list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[AccessKey])
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("list access keys: %w", err)
	}
	return list, nil
}

// RevokeAccessKey deletes a user's key. One that is not there is [ErrNotFound].
func (a *Accounts) RevokeAccessKey(ctx context.Context, userID int64, id uuid.UUID) error {
	err := a.db.ReadAs(ctx, userID, `DELETE FROM access_keys WHERE public_id = $1 AND user_id = $2`, []any{id, userID},
		func(rows pgx.Rows) error {
			rows.Close()
			if rows.Err() == nil && rows.CommandTag().RowsAffected() == 0 {
				return ErrNotFound
			}
			return rows.Err()
		})
	if err != nil {
		return fmt.Errorf("revoke access key: %w", err)
	}
	return nil
}

// UserOfAccessKey returns the user and the scopes of the key with a secret's SHA-256, and records its use. An unknown
// key, or one of a deleted user, is [ErrNotFound]; an expired one is [ErrExpired].
func (a *Accounts) UserOfAccessKey(ctx context.Context, secret [32]byte) (u User, scopes []string, err error) {
	var id *int64
	var subject *string
	var rate *float32
	var expired *bool
	err = a.db.Requests.QueryRow(ctx, `
		SELECT user_id, subject, training_rate, scopes, expired FROM use_access_key($1)`, secret[:]).
		Scan(&id, &subject, &rate, &scopes, &expired)
	switch {
	case err != nil:
	case id == nil:
		err = ErrNotFound
	case *expired:
		err = ErrExpired
	default:
		u = User{ID: *id, Subject: *subject, TrainingRate: *rate}
	}
	if err != nil {
		return User{}, nil, fmt.Errorf("find access key: %w", err)
	}
	return u, scopes, nil
}
