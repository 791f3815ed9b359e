package api

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/retainwise/millrace/serve/internal/auth"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/limit"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/store"
)

// Scopes of access keys.
const (
	scopeRead   = "read"   // every GET
	scopeWrite  = "write"  // upload, score, cancel
	scopeDelete = "delete" // delete predictions
)

var allScopes = []string{scopeRead, scopeWrite, scopeDelete}

const (
	accessKeyPrefix = "mr_"
	secretBytes     = 32
	prefixShown     = 8 // characters of a secret that are stored, so that people recognise the key
)

// newSecret returns a random secret for an access key. Only its SHA-256 is stored: 256 random bits need no slow password
// hash, which would cost time in each request.
func newSecret() string {
	var b [secretBytes]byte
	_, _ = rand.Read(b[:]) // never fails
	return accessKeyPrefix + auth.Base64url.EncodeToString(b[:])
}

// authenticate verifies the bearer token of a request, which is a session's token or an access key, and sets r.user.
func (s *server) authenticate(r *request) (err error) {
	authorization := r.header("Authorization")
	token, err := auth.Bearer(authorization)
	if err != nil {
		return err
	}
	if strings.HasPrefix(token, accessKeyPrefix) {
		return s.authenticateKey(r, token)
	}
	subject, err := s.Auth.Subject(r.ctx, authorization)
	if err != nil {
		return err
	}
	if err := s.limitSpent(r, subject); err != nil {
		return err
	}
	r.user, err = s.users.User(r.ctx, subject)
	if errors.Is(err, store.ErrAccountDeleted) {
		return fault.Fail(fault.CodeInvalidToken, "This account has been deleted.").Because(err)
	}
	if err != nil {
		return storefault.ExplainAs(fault.CodeDatabase, err)
	}
	return nil
}

// authenticateKey verifies an access key in the database in each request, so that a revoked key is refused at once. It does
// not ask for what is refused anyway: a key that was unknown a moment ago, a key whose user has no request left, and a key
// that is not known to be valid from an address that has sent too many invalid ones.
func (s *server) authenticateKey(r *request, token string) (err error) {
	if len(token) != len(accessKeyPrefix)+auth.Base64url.EncodedLen(secretBytes) {
		return fault.Fail(fault.CodeInvalidToken, "This access key is not valid.").Because(errors.New("access key is malformed"))
	}
	secret := sha256.Sum256([]byte(token))
	subject, unknown := s.keys.Find(secret)
	if err := s.limitSpent(r, subject); err != nil && !unknown {
		return err
	}
	if err = store.ErrNotFound; !unknown {
		r.user, r.scopes, err = s.Store.Accounts.UserOfAccessKey(r.ctx, secret)
	}
	if err == nil || errors.Is(err, store.ErrNotFound) && !unknown {
		s.keys.Remember(secret, r.user.Subject)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fault.Fail(fault.CodeInvalidToken, "This access key is not valid, or was revoked.").Because(err)
	case errors.Is(err, store.ErrExpired):
		return fault.Fail(fault.CodeExpiredToken, "This access key has expired.").Because(err)
	case err != nil:
		return storefault.ExplainAs(fault.CodeDatabase, err)
	}
	r.byKey = true
	return nil
}

// limitSpent returns a rate limit error if a user, or without a subject the client's address, is known to have no request
// left. It charges nothing and asks nobody.
func (s *server) limitSpent(r *request, subject string) error {
	if subject == "" {
		if a, spent := s.limiter.Spent(limit.Login, s.clientKey(r)); spent {
			return tooManyLogins(a)
		}
		return nil
	}
	class := limit.Default
	if r.route != nil {
		class = r.route.Limit
	}
	if a, spent := s.limiter.Spent(class, userKey(subject)); spent {
		return r.tooMany(a)
	}
	return nil
}

// checkScope returns an error if the request was authenticated by an access key without the scope of the route. Tokens of
// sessions have all scopes.
func (r *request) checkScope() error {
	switch scope := r.route.scope(); {
	case !r.byKey:
		return nil
	case r.route.session:
		return fault.Fail(fault.CodeNotAllowed, "An access key may not do this. Sign in and use the token of your session.")
	case !slices.Contains(r.scopes, scope):
		return fault.Fail(fault.CodeNotAllowed, "This access key does not have the scope '"+scope+"'.").
			With(fault.Details{"expected": []string{scope}, "actual": r.scopes})
	}
	return nil
}

// logName returns the pseudonym of a user in the log: a hash under the customer key, the same in every line.
func (s *server) logName(u store.User) string {
	name := s.CustomerKey.Hasher(u.ID).Hash([]byte("\x00log"))
	return hex.EncodeToString(name[:8])
}
