package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// requestKeyLife is how long the outcome of a request stays known under its key.
const requestKeyLife = 24 * time.Hour

// ErrKeyInUse means that another request with the same key is still running.
var ErrKeyInUse = errors.New("another request holds this key")

// RequestKey is an idempotency key: a request that is sent again with it is not done again. It belongs to the request
// that claimed it. The row behind it is claimed first and completed by the transaction that does the
// request's work ([NewUpload].Key), so a crash at any point leaves either a key that can be claimed again when the
// lease is over, or the outcome.
type RequestKey struct {
	// Done is set if an earlier request with the key has succeeded, with this Fingerprint. Made is the id of what it
	// created, by its route a prediction, an upload link or an access key.
	Done        bool
	Fingerprint [sha256.Size]byte
	Made        uuid.UUID
	// Lease is how long the claim lasts without [Accounts.RenewKey].
	Lease time.Duration

	userID int64
	route  string
	hash   []byte
	claim  uuid.UUID
}

// ClaimKey claims a user's key for a route, or returns its outcome with Done set. It is [ErrKeyInUse] while another
// request holds it.
func (a *Accounts) ClaimKey(ctx context.Context, userID int64, route, key string) (*RequestKey, error) {
	hash := sha256.Sum256([]byte(key))
	k := &RequestKey{Lease: a.lease, userID: userID, route: route, hash: hash[:], claim: uuid.New()}
	for {
		err := a.claimKey(ctx, k)
		if !errors.Is(err, pgx.ErrNoRows) { // else it was released between the two looks
			if err != nil {
				return nil, fmt.Errorf("claim key: %w", err)
			}
			return k, nil
		}
	}
}

func (a *Accounts) claimKey(ctx context.Context, k *RequestKey) error {
	claimed := false
	err := a.db.ReadAs(ctx, k.userID, `
		INSERT INTO request_keys AS k (user_id, route, key_hash, claim, claimed_until)
		VALUES ($1, $2, $3, $4, clock_timestamp() + $5::bigint * interval '1 microsecond')
		ON CONFLICT (user_id, route, key_hash) DO UPDATE
		SET claim = excluded.claim, claimed_until = excluded.claimed_until, fingerprint = NULL, prediction_id = NULL,
		    expires_at = 'infinity'
		WHERE k.fingerprint IS NULL AND k.claimed_until <= clock_timestamp() OR k.expires_at <= clock_timestamp()`,
		[]any{k.userID, k.route, k.hash, k.claim, k.Lease.Microseconds()}, func(rows pgx.Rows) error {
			rows.Close()
			claimed = rows.CommandTag().RowsAffected() == 1
			return rows.Err()
		})
	if err != nil || claimed {
		return err
	}
	return a.db.ReadAs(ctx, k.userID, `
		SELECT fingerprint, prediction_id FROM request_keys WHERE user_id = $1 AND route = $2 AND key_hash = $3`,
		[]any{k.userID, k.route, k.hash}, func(rows pgx.Rows) error {
			var fingerprint []byte
			var made *uuid.UUID
			_, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (struct{}, error) {
				return struct{}{}, row.Scan(&fingerprint, &made)
			})
			if err == nil && made == nil {
				err = ErrKeyInUse
			}
			if err == nil {
				k.Done, k.Made = true, *made
				copy(k.Fingerprint[:], fingerprint)
			}
			return err
		})
}

// RenewKey extends a claim by another lease. [ErrLeaseLost] means that another request has the key now.
func (a *Accounts) RenewKey(ctx context.Context, k *RequestKey) error {
	err := a.db.InTxAs(ctx, k.userID, func(tx pgx.Tx) error {
		return requireRow(tx.Exec(ctx, `
			UPDATE request_keys SET claimed_until = clock_timestamp() + $5::bigint * interval '1 microsecond'
			WHERE user_id = $1 AND route = $2 AND key_hash = $3 AND claim = $4 AND fingerprint IS NULL`,
			k.userID, k.route, k.hash, k.claim, k.Lease.Microseconds()))
	})
	if err != nil {
		return fmt.Errorf("renew key: %w", err)
	}
	return nil
}

// ReleaseKey gives up a claim as if it had never been made. What is completed stays.
func (a *Accounts) ReleaseKey(ctx context.Context, k *RequestKey) error {
	err := a.db.InTxAs(ctx, k.userID, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			DELETE FROM request_keys
			WHERE user_id = $1 AND route = $2 AND key_hash = $3 AND claim = $4 AND fingerprint IS NULL`,
			k.userID, k.route, k.hash, k.claim)
		return err
	})
	if err != nil {
		return fmt.Errorf("release key: %w", err)
	}
	return nil
}

// complete records the id that a request created, in the transaction that creates it. A claim that was lost meanwhile
// ends the transaction: another request with the same key is doing the same work. Nil records nothing.
func (k *RequestKey) complete(ctx context.Context, tx pgx.Tx, made uuid.UUID) error {
	if k == nil {
		return nil
	}
	return requireRow(tx.Exec(ctx, `
		UPDATE request_keys
		SET fingerprint = $5, prediction_id = $6,
		    expires_at = clock_timestamp() + $7::bigint * interval '1 microsecond'
		WHERE user_id = $1 AND route = $2 AND key_hash = $3 AND claim = $4 AND fingerprint IS NULL`,
		k.userID, k.route, k.hash, k.claim, k.Fingerprint[:], made, requestKeyLife.Microseconds()))
}

// SweepKeys deletes expired keys, and claims of requests that ended without releasing them a day ago.
func (u *Upkeep) SweepKeys(ctx context.Context) error {
	_, err := u.db.Pool.Exec(ctx, `
		DELETE FROM request_keys
		WHERE expires_at <= statement_timestamp()
		   OR expires_at = 'infinity' AND claimed_until <= statement_timestamp() - interval '1 day'`)
	if err != nil {
		return fmt.Errorf("sweep keys: %w", err)
	}
	return nil
}
