package api

import (
	"crypto/sha256"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/serve/internal/auth"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/serve/internal/strictjson"
	"github.com/retainwise/millrace/serve/internal/wire"
	"github.com/retainwise/millrace/store"
)

const (
	jsonBytesMax     = 16 << 10
	keyNameRunesMax  = 100
	accessKeyLifeMax = 10 * 365 * 24 * time.Hour
)

type accessKeyView struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Prefix     string   `json:"prefix"`
	Scopes     []string `json:"scopes"`
	CreatedAt  string   `json:"created_at"`
	ExpiresAt  *string  `json:"expires_at"`
	LastUsedAt *string  `json:"last_used_at"`
	Key        string   `json:"key,omitempty"` // only in the answer that creates it
}

func accessKeyOf(k store.AccessKey) accessKeyView {
	return accessKeyView{
		ID: k.ID.String(), Name: k.Name, Prefix: k.Prefix, Scopes: k.Scopes, CreatedAt: wire.TimeText(k.CreatedAt),
		ExpiresAt: timeTextOf(k.ExpiresAt), LastUsedAt: timeTextOf(k.LastUsedAt),
	}
}

// createAccessKey creates a key and answers with its secret, which cannot be read again.
func createAccessKey(s *server, r *request) error {
	k, err := r.newAccessKey(time.Now())
	if err != nil {
		return err
	}
	return s.idempotent(r, k, func(once *store.RequestKey) error {
		secret := newSecret()
		k.Prefix = secret[:prefixShown]
		made, err := s.Store.Accounts.CreateAccessKey(r.ctx, r.user.ID, k, sha256.Sum256([]byte(secret)), once)
		if errors.Is(err, store.ErrConflict) {
			return fault.Fail(fault.CodeWrongState, "You have as many access keys as an account may have. Revoke one first.").
				With(fault.Details{"limit": store.AccessKeysMax, "unit": "keys"}).Because(err)
		}
		if err != nil {
			return storefault.ExplainAs(fault.CodeDatabase, err)
		}
		view := accessKeyOf(made)
		view.Key = secret
		return r.answerAccessKey(view)
	}, func(id uuid.UUID) error {
		return s.replayAccessKey(r, id)
	})
}

func (r *request) answerAccessKey(view accessKeyView) error {
	r.set("Cache-Control", "no-store")
	return r.json(http.StatusCreated, view)
}

// replayAccessKey answers a replayed request with the key that it created before, without its secret, which is not stored.
func (s *server) replayAccessKey(r *request, id uuid.UUID) error {
	list, err := s.Store.Accounts.AccessKeys(r.ctx, r.user.ID)
	if err != nil {
		return storefault.ExplainAs(fault.CodeDatabase, err)
	}
	i := slices.IndexFunc(list, func(k store.AccessKey) bool { return k.ID == id })
	if i < 0 {
		return fault.Fail(fault.CodeAccessKeyNotFound, "The access key made with this idempotency key has been revoked.")
	}
	return r.answerAccessKey(accessKeyOf(list[i]))
}

// newAccessKey parses and checks the body.
func (r *request) newAccessKey(now time.Time) (store.AccessKey, error) {
	var wanted struct {
		Name      string
		Scopes    []string
		ExpiresAt *time.Time
	}
	err := r.readJSON(map[string]any{"name": &wanted.Name, "scopes": &wanted.Scopes, "expires_at": &wanted.ExpiresAt})
	if err != nil {
		return store.AccessKey{}, err
	}
	name := strings.TrimSpace(wanted.Name)
	switch {
	case name == "":
		return store.AccessKey{}, missingField("name")
	case utf8.RuneCountInString(name) > keyNameRunesMax || strings.ContainsFunc(name, auth.Unprintable):
		return store.AccessKey{}, fault.Fail(fault.CodeInvalidValue, "'name' must be one line of at most 100 characters.").
			With(fault.Details{"field": "name", "limit": keyNameRunesMax, "unit": "characters"})
	case len(wanted.Scopes) == 0:
		return store.AccessKey{}, missingField("scopes")
	}
	var scopes []string
	for _, scope := range allScopes {
		if slices.Contains(wanted.Scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	if len(scopes) != len(wanted.Scopes) {
		return store.AccessKey{}, fault.Fail(fault.CodeInvalidValue, "'scopes' must be some of "+fault.ListText(allScopes)+", each once.").
			With(fault.Details{"field": "scopes", "expected": allScopes})
	}
	if at := wanted.ExpiresAt; at != nil && (at.Before(now) || at.After(now.Add(accessKeyLifeMax))) {
		return store.AccessKey{}, fault.Fail(fault.CodeOutOfRange, "'expires_at' must lie in the next ten years.").
			With(fault.Details{"field": "expires_at"})
	}
	return store.AccessKey{Name: name, Scopes: scopes, ExpiresAt: wanted.ExpiresAt}, nil
}

func missingField(name string) *fault.Failure {
	return fault.Fail(fault.CodeMissingField, "The field '"+name+"' is missing.").With(fault.Details{"field": name})
}

// readJSON decodes the members of a small JSON body, each into the pointer under its name. As with parameters, an unknown
// or repeated member is an error.
func (r *request) readJSON(members map[string]any) error {
	if mediaType, _, err := mime.ParseMediaType(r.header("Content-Type")); err != nil || mediaType != fault.TypeJSON {
		return fault.Fail(fault.CodeUnsupportedMediaType, "Send the body as application/json.").
			With(fault.Details{"field": "Content-Type", "expected": []string{fault.TypeJSON}})
	}
	b, err := r.openBody(jsonBytesMax, 0)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(b)
	if err != nil {
		return err
	}
	if err := strictjson.Decode(text, members, true); err != nil {
		return fault.Fail(fault.CodeUnparseableBody, "The body is not the JSON object that this route takes. GET /docs shows it.").
			Because(err)
	}
	return nil
}

// listAccessKeys answers with every key of the user; there are few.
func listAccessKeys(s *server, r *request) error {
	list, err := s.Store.Accounts.AccessKeys(r.ctx, r.user.ID)
	if err != nil {
		return storefault.ExplainAs(fault.CodeDatabase, err)
	}
	views := []accessKeyView{}
	for _, k := range list {
		views = append(views, accessKeyOf(k))
	}
	return r.json(http.StatusOK, struct {
		Keys []accessKeyView `json:"keys"`
	}{views})
}

func revokeAccessKey(s *server, r *request) error {
	id, err := uuid.Parse(r.value)
	if err == nil && id.String() == r.value {
		err = s.Store.Accounts.RevokeAccessKey(r.ctx, r.user.ID, id)
	} else {
		err = store.ErrNotFound
	}
	if errors.Is(err, store.ErrNotFound) {
		return fault.Fail(fault.CodeAccessKeyNotFound, "").Because(err)
	}
	if err != nil {
		return storefault.ExplainAs(fault.CodeDatabase, err)
	}
	statusOnly(r, http.StatusNoContent)
	return nil
}
