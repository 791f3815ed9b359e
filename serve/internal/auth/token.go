package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// claims are the claims of a token that are checked. They decode strictly: a claim of the wrong type refuses the token.
type claims struct {
	Issuer    string           `json:"iss"`
	Subject   string           `json:"sub"`
	Audience  jwt.ClaimStrings `json:"aud"`
	Expires   *date            `json:"exp"`
	NotBefore *date            `json:"nbf"`
	IssuedAt  *date            `json:"iat"`
	Party     string           `json:"azp"`
	SessionID string           `json:"sid"`
}

var _ jwt.Claims = (*claims)(nil)

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

// wellFormed refuses tokens that the parser would accept: with white space, which gives a token two spellings, or with
// duplicate JSON members, of which parsers may take either.
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
		if err := uniqueMembers(text); err != nil {
			return err
		}
	}
	return nil
}

// uniqueMembers checks that text is one JSON value in which no object has two members of one name. Names are compared
// as the decoder compares them, without case.
func uniqueMembers(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	var open []map[string]bool // one per open object or list; nil for a list
	name := false              // the next text is a member's name
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errors.New("token is no JSON")
		}
		switch t := t.(type) {
		case json.Delim:
			switch t {
			case '{':
				open = append(open, map[string]bool{})
			case '[':
				open = append(open, nil)
			default:
				open = open[:len(open)-1]
			}
		case string:
			if name {
				if seen := open[len(open)-1]; !add(seen, strings.ToLower(t)) {
					return errors.New("token names a member twice")
				}
				name = false
				continue
			}
		}
		name = len(open) > 0 && open[len(open)-1] != nil
	}
}

// add adds a name to a set and reports whether it was new.
func add(set map[string]bool, name string) bool {
	if set[name] {
		return false
	}
	set[name] = true
	return true
}
