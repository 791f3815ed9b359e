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
	"github.com/retainwise/millrace/store"
)

// Scopes of access keys.
const (
	scopeRead   = "read"   // look at what is there
	scopeWrite  = "write"  // send files to be scored, stop predictions
	scopeDelete = "delete" // remove predictions
)

var allScopes = []string{scopeRead, scopeWrite, scopeDelete}

const (
	accessKeyPrefix = "mr_"
	secretBytes     = 32
	prefixShown     = 8 // characters of a secret that are kept for people to know it by
)

// newSecret makes the secret of an access key. Its SHA-256 is all that is stored: 256 random bits are beyond guessing
// whatever the hash, while the slow hashes made for passwords would cost each request their time.
func newSecret() string {
	var b [secretBytes]byte
	_, _ = rand.Read(b[:]) // never fails
	return accessKeyPrefix + auth.Base64url.EncodeToString(b[:])
}

// authenticate checks the token of a request: of someone who signed in, or an access key.
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
	r.user, err = s.users.User(r.ctx, subject)
	if errors.Is(err, store.ErrAccountDeleted) {
		return fault.Fail(fault.CodeInvalidToken, "This account has been deleted.").Because(err)
	}
	if err != nil {
		return fault.ExplainAs(fault.CodeDatabase, err)
	}
	return nil
}

// authenticateKey asks the database each time, so that a key that is revoked is of no use from that moment on.
func (s *server) authenticateKey(r *request, token string) (err error) {
	if len(token) != len(accessKeyPrefix)+auth.Base64url.EncodedLen(secretBytes) {
		return fault.Fail(fault.CodeInvalidToken, "This access key is not valid.").Because(errors.New("access key is malformed"))
	}
	r.user, r.scopes, err = s.Store.UserOfAccessKey(r.ctx, sha256.Sum256([]byte(token)))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fault.Fail(fault.CodeInvalidToken, "This access key is not valid, or was revoked.").Because(err)
	case errors.Is(err, store.ErrExpired):
		return fault.Fail(fault.CodeExpiredToken, "This access key has expired.").Because(err)
	case err != nil:
		return fault.ExplainAs(fault.CodeDatabase, err)
	}
	r.byKey = true
	return nil
}

// checkScope refuses what an access key does not allow. Whoever signed in may do everything with what is theirs.
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

// logName stands for a user in the log: the same in every line of an environment, and of no use to whoever does not
// have its secret.
func (s *server) logName(u store.User) string {
	name := s.CustomerKey.Hasher(u.ID).Hash([]byte("\x00log"))
	return hex.EncodeToString(name[:8])
}
