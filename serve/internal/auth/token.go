package auth

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/retainwise/millrace/serve/internal/strictjson"
)

// claims are the claims of a token that are checked. They decode strictly: a claim of the wrong type refuses the token.
type claims struct {
	Issuer    string
	Subject   string
	Audience  jwt.ClaimStrings
	Expires   *date
	NotBefore *date
	IssuedAt  *date
	Party     string
	SessionID string
}

var _ jwt.Claims = (*claims)(nil)

// UnmarshalJSON compares names exactly (RFC 7519, section 10.1.1).
func (c *claims) UnmarshalJSON(text []byte) error {
	return strictjson.Decode(text, map[string]any{
		"iss": &c.Issuer, "sub": &c.Subject, "aud": &c.Audience, "exp": &c.Expires, "nbf": &c.NotBefore,
		"iat": &c.IssuedAt, "azp": &c.Party, "sid": &c.SessionID,
	}, false)
}

func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return c.Expires.numeric(), nil }
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error)       { return c.IssuedAt.numeric(), nil }
func (c *claims) GetNotBefore() (*jwt.NumericDate, error)      { return c.NotBefore.numeric(), nil }
func (c *claims) GetIssuer() (string, error)                   { return c.Issuer, nil }
func (c *claims) GetSubject() (string, error)                  { return c.Subject, nil }
func (c *claims) GetAudience() (jwt.ClaimStrings, error)       { return c.Audience, nil }

// date is seconds since 1970, bounded so that it is a time on every machine.
type date float64

const dateMax = 1 << 40

func (d *date) UnmarshalJSON(text []byte) error {
	seconds, err := strconv.ParseFloat(string(text), 64)
	if err != nil || seconds < 0 || seconds > dateMax {
		return errors.New("date is no number of seconds")
	}
	*d = date(seconds)
	return nil
}

func (d *date) numeric() *jwt.NumericDate {
	if d == nil {
		return nil
	}
	whole, part := math.Modf(float64(*d))
	return &jwt.NumericDate{Time: time.Unix(int64(whole), int64(part*1e9))}
}

// wellFormed refuses tokens that the parser would accept: with white space, which gives a token two spellings, with
// duplicate JSON members, of which parsers may take either, or with text that is not Unicode, which would become the same
// replacement character for different subjects.
func wellFormed(token string) error {
	if len(token) > tokenBytesMax {
		return errors.New("token is too long")
	}
	if strings.ContainsAny(token, " \t\r\n\v\f") {
		return errors.New("token contains white space")
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("token has no three parts")
	}
	for _, part := range parts[:2] {
		text, err := Base64url.DecodeString(part)
		if err != nil {
			return fmt.Errorf("decode token: %w", err)
		}
		if err := strictjson.Check(text); err != nil {
			return fmt.Errorf("decode token: %w", err)
		}
	}
	return nil
}
