// Package auth verifies bearer tokens (JWT) with the signing keys of their issuer (JWKS), signs development tokens, and
// caches the users of subjects. Access keys, scopes and rate limits belong in api, which knows the route.
package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/golang-jwt/jwt/v5"
	"github.com/retainwise/millrace/serve/internal/fault"
)

const (
	tokenBytesMax = 8 << 10
	kidRunesMax   = 128
	tokenLeeway   = 5 * time.Second

	subjectBytesMax = 255
)

// Config says which tokens are accepted.
type Config struct {
	JWKSURL  string // https, or http on loopback
	Issuer   string // compared exactly
	Audience string // empty disables the check
	// Parties are the origins accepted in azp, the application that a token was made for. A token without azp passes. With
	// no parties every application of the issuer is accepted.
	Parties []string
	// RequireSession refuses tokens without sid: those that Clerk makes from a template, which outlive the session.
	RequireSession bool
	Client         *http.Client     // fetches the signing keys; nil means a new client
	Now            func() time.Time // nil means time.Now
}

// Verifier checks access tokens. It is safe for concurrent use.
type Verifier struct {
	Keys           *keySet
	parser         *jwt.Parser
	parties        []string
	requireSession bool
}

// NewVerifier returns a verifier. ctx bounds the fetches of signing keys, which outlive the requests that start them.
// NewVerifier fetches nothing: the first token does.
func NewVerifier(ctx context.Context, cfg Config) (*Verifier, error) {
	if cfg.Issuer == "" {
		return nil, errors.New("auth: no issuer")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	keys, err := newKeySet(ctx, cfg.JWKSURL, cfg.Client, cfg.Now)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}), jwt.WithIssuer(cfg.Issuer),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(tokenLeeway), jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(cfg.Now),
	}
	if cfg.Audience != "" {
		options = append(options, jwt.WithAudience(cfg.Audience))
	}
	return &Verifier{
		Keys: keys, parser: jwt.NewParser(options...), parties: cfg.Parties, requireSession: cfg.RequireSession,
	}, nil
}

// Subject verifies the token of an Authorization header and returns its subject. Its errors are failures with a published
// code.
func (v *Verifier) Subject(ctx context.Context, authorization string) (string, error) {
	token, err := Bearer(authorization)
	if err != nil {
		return "", err
	}
	if err := wellFormed(token); err != nil {
		return "", fault.Fail(fault.CodeInvalidToken, "").Because(err)
	}
	var c claims
	_, err = v.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) { return v.signingKey(ctx, t) })
	if err != nil {
		return "", tokenFailure(err)
	}
	if err := v.check(&c); err != nil {
		return "", fault.Fail(fault.CodeInvalidToken, "").Because(err)
	}
	return c.Subject, nil
}

// Bearer returns the token of an Authorization header.
func Bearer(authorization string) (string, error) {
	if authorization == "" {
		return "", fault.Fail(fault.CodeMissingToken, "")
	}
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", fault.Fail(fault.CodeMissingToken, "The Authorization header must read 'Bearer <token>'.")
	}
	return token, nil
}

// tokenFailure distinguishes expired from wrong tokens, and both from keys that are unavailable or may be new.
func tokenFailure(err error) *fault.Failure {
	var pending *pendingKeyError
	switch {
	case errors.As(err, &pending):
		f := fault.Fail(fault.CodeSigningKeysMissing, "").Because(err)
		f.RetryAfter = pending.wait
		return f
	case errors.Is(err, errKeysUnavailable):
		return fault.Fail(fault.CodeSigningKeysMissing, "").Because(err)
	case errors.Is(err, jwt.ErrTokenExpired) && !errors.Is(err, jwt.ErrTokenInvalidIssuer) &&
		!errors.Is(err, jwt.ErrTokenInvalidAudience) && !errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return fault.Fail(fault.CodeExpiredToken, "").Because(err)
	}
	return fault.Fail(fault.CodeInvalidToken, "").Because(err)
}

func (v *Verifier) check(c *claims) error {
	switch {
	case c.Subject == "":
		return errors.New("token has no subject")
	case len(c.Subject) > subjectBytesMax || strings.ContainsFunc(c.Subject, Unprintable):
		return errors.New("token has a subject that cannot be kept")
	case c.SessionID == "" && v.requireSession:
		return errors.New("token has no session")
	case c.Party != "" && len(v.parties) > 0 && !slices.Contains(v.parties, c.Party):
		return errors.New("token was made for another application")
	}
	return nil
}

func (v *Verifier) signingKey(ctx context.Context, t *jwt.Token) (any, error) {
	if _, ok := t.Header["crit"]; ok {
		return nil, errors.New("token asks for an extension")
	}
	kid, ok := t.Header["kid"].(string)
	if !ok || kid == "" || len(kid) > kidRunesMax {
		return nil, errors.New("token names no key")
	}
	return v.Keys.key(ctx, kid)
}

// Unprintable reports whether a character must not be in a name or a subject.
func Unprintable(c rune) bool { return !unicode.IsPrint(c) }
