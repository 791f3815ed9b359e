package serve_test

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve/internal/auth"
	"github.com/retainwise/millrace/serve/internal/storefault"
)

const testIssuer = "https://clerk.example.com"

// raw is an object as JSON text, so that tests can write what no encoder would.
type raw string

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// keyPair is shared by tests: making one takes long.
var keyPair = sync.OnceValue(newKey)

var otherPair = sync.OnceValue(newKey)

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

func signRS256(key *rsa.PrivateKey, header, claims raw) string {
	text := b64([]byte(header)) + "." + b64([]byte(claims))
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + b64(sig)
}

func signHS256(secret []byte, header, claims raw) string {
	text := b64([]byte(header)) + "." + b64([]byte(claims))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + b64(mac.Sum(nil))
}

func publicJWK(kid string, key *rsa.PrivateKey) string {
	return fmt.Sprintf(`{"kty":"RSA","use":"sig","alg":"RS256","kid":%q,"n":%q,"e":%q}`, kid,
		b64(key.N.Bytes()), b64(big.NewInt(int64(key.E)).Bytes()))
}

// issuer is a JWKS endpoint whose answers tests can change.
type issuer struct {
	*httptest.Server
	body    atomic.Pointer[string]
	fetches atomic.Int64
	handler atomic.Pointer[http.HandlerFunc]
}

func newIssuer(t testing.TB, keys ...string) *issuer {
	t.Helper()
	is := &issuer{}
	is.setKeys(keys...)
	is.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		is.fetches.Add(1)
		if h := is.handler.Load(); h != nil {
			(*h)(w, r)
			return
		}
		_, _ = w.Write([]byte(*is.body.Load()))
	}))
	t.Cleanup(is.Close)
	return is
}

func (is *issuer) setKeys(keys ...string) {
	text := `{"keys":[` + strings.Join(keys, ",") + `]}`
	is.body.Store(&text)
}

func (is *issuer) handle(h http.HandlerFunc) { is.handler.Store(&h) }

// clock is a time that tests move.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time             { return time.Unix(0, c.at.Load()) }
func (c *clock) move(d time.Duration)       { c.at.Add(int64(d)) }
func (c *clock) unix(d time.Duration) int64 { return c.now().Add(d).Unix() }

func newVerifier(t *testing.T, is *issuer, c *clock, change func(*auth.Config)) *auth.Verifier {
	t.Helper()
	cfg := auth.Config{
		JWKSURL: is.URL, Issuer: testIssuer, Parties: []string{"https://retainwiseanalytics.com"}, Now: c.now,
	}
	if change != nil {
		change(&cfg)
	}
	v, err := auth.NewVerifier(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// codeOf asks a verifier and gives the subject, or the code of the refusal.
func codeOf(v *auth.Verifier, authorization string) string {
	subject, err := v.Subject(context.Background(), authorization)
	if err != nil {
		return storefault.CodeOf(err).String()
	}
	return subject
}

const goodHeader raw = `{"alg":"RS256","kid":"k1","typ":"JWT"}`

func goodClaims(c *clock) map[string]any {
	return map[string]any{
		"iss": testIssuer, "sub": "user_1", "sid": "sess_1", "azp": "https://retainwiseanalytics.com",
		"iat": c.unix(-time.Minute), "nbf": c.unix(-time.Minute), "exp": c.unix(time.Hour),
	}
}

func with(claims map[string]any, name string, value any) raw {
	changed := map[string]any{}
	for k, v := range claims {
		changed[k] = v
	}
	if value == nil {
		delete(changed, name)
	} else {
		changed[name] = value
	}
	text, _ := json.Marshal(changed)
	return raw(text)
}

func TestTokens(t *testing.T) {
	c := newClock()
	key, other := keyPair(), otherPair()
	is := newIssuer(t, publicJWK("k1", key))
	v := newVerifier(t, is, c, nil)
	claims := goodClaims(c)
	good := with(claims, "extra", "x")
	der := x509.MarshalPKCS1PublicKey(&key.PublicKey)
	spki, _ := x509.MarshalPKIXPublicKey(&key.PublicKey)
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	hs := raw(`{"alg":"HS256","kid":"k1"}`)
	valid := signRS256(key, goodHeader, good)
	parts := strings.Split(valid, ".")
	codeOf(v, "Bearer "+valid)                // has the keys fetched
	literal := func(name, value string) raw { // a claim whose value no encoder gives
		return raw(strings.Replace(string(with(claims, name, "@")), `"@"`, value, 1))
	}
	for name, test := range map[string]struct{ token, want string }{
		"valid":       {valid, "user_1"},
		"no azp":      {signRS256(key, goodHeader, with(claims, "azp", nil)), "user_1"},
		"exp 3 s ago": {signRS256(key, goodHeader, with(claims, "exp", c.unix(-3*time.Second))), "user_1"},
		"exp 6 s ago": {signRS256(key, goodHeader, with(claims, "exp", c.unix(-6*time.Second))), "ERR-1202"},
		"nbf in 3 s":  {signRS256(key, goodHeader, with(claims, "nbf", c.unix(3*time.Second))), "user_1"},
		"nbf in 6 s":  {signRS256(key, goodHeader, with(claims, "nbf", c.unix(6*time.Second))), "ERR-1201"},
		"iat in 1 h":  {signRS256(key, goodHeader, with(claims, "iat", c.unix(time.Hour))), "ERR-1201"},
		"expired, other issuer": {
			signRS256(key, goodHeader, raw(`{"iss":"x","sub":"u","sid":"s","exp":1000}`)),
			"ERR-1201",
		},
		"no exp":       {signRS256(key, goodHeader, with(claims, "exp", nil)), "ERR-1201"},
		"null exp":     {signRS256(key, goodHeader, literal("exp", "null")), "ERR-1201"},
		"text exp":     {signRS256(key, goodHeader, literal("exp", `"99999999999"`)), "ERR-1201"},
		"1e300 exp":    {signRS256(key, goodHeader, literal("exp", "1e300")), "ERR-1201"},
		"negative exp": {signRS256(key, goodHeader, literal("exp", "-5")), "ERR-1201"},
		"float exp": {signRS256(key, goodHeader, literal("exp", fmt.Sprint(c.unix(time.Minute),
			".5"))), "user_1"},
		"list exp": {signRS256(key, goodHeader, literal("exp", "[1]")), "ERR-1201"},
		"other issuer": {
			signRS256(key, goodHeader, with(claims, "iss", "https://evil.example.com")),
			"ERR-1201",
		},
		"issuer with slash":   {signRS256(key, goodHeader, with(claims, "iss", testIssuer+"/")), "ERR-1201"},
		"list of issuers":     {signRS256(key, goodHeader, with(claims, "iss", []string{testIssuer})), "ERR-1201"},
		"no issuer":           {signRS256(key, goodHeader, with(claims, "iss", nil)), "ERR-1201"},
		"no subject":          {signRS256(key, goodHeader, with(claims, "sub", nil)), "ERR-1201"},
		"empty subject":       {signRS256(key, goodHeader, with(claims, "sub", "")), "ERR-1201"},
		"number as subject":   {signRS256(key, goodHeader, with(claims, "sub", 7)), "ERR-1201"},
		"null subject":        {signRS256(key, goodHeader, literal("sub", "null")), "ERR-1201"},
		"long subject":        {signRS256(key, goodHeader, with(claims, "sub", strings.Repeat("x", 256))), "ERR-1201"},
		"NUL in the subject":  {signRS256(key, goodHeader, with(claims, "sub", "user\x00_1")), "ERR-1201"},
		"line in the subject": {signRS256(key, goodHeader, with(claims, "sub", "user\n_1")), "ERR-1201"},
		"empty session":       {signRS256(key, goodHeader, with(claims, "sid", "")), "user_1"},
		"number as session":   {signRS256(key, goodHeader, with(claims, "sid", 7)), "ERR-1201"},
		"list as azp": {
			signRS256(key, goodHeader, with(claims, "azp", []string{"https://retainwiseanalytics.com"})),
			"ERR-1201",
		},
		"azp with a slash": {
			signRS256(key, goodHeader, with(claims, "azp", "https://retainwiseanalytics.com/")),
			"ERR-1201",
		},
		"token of a template": {
			signRS256(key, goodHeader, raw(fmt.Sprintf(`{"iss":%q,"sub":"user_1","exp":%d,"jti":"x"}`, testIssuer,
				c.unix(time.Hour)))),
			"user_1",
		},
		"x5c of another key": {
			signRS256(other, `{"alg":"RS256","kid":"k1","x5c":["MIIB"]}`, good),
			"ERR-1201",
		},
		"no session": {signRS256(key, goodHeader, with(claims, "sid", nil)), "user_1"},
		"azp of another app": {
			signRS256(key, goodHeader, with(claims, "azp", "https://other.example.com")),
			"ERR-1201",
		},
		"duplicate claim":       {signRS256(key, goodHeader, raw(`{"sub":"evil",`+string(good)[1:])), "ERR-1201"},
		"other claim, case":     {signRS256(key, goodHeader, raw(`{"SUB":"evil",`+string(good)[1:])), "user_1"},
		"other claim, long s":   {signRS256(key, goodHeader, raw(`{"\u017fub":"evil",`+string(good)[1:])), "user_1"},
		"no sub but SUB":        {signRS256(key, goodHeader, raw(`{"SUB":"evil",`+string(with(claims, "sub", nil))[1:])), "ERR-1201"},
		"no exp but Exp":        {signRS256(key, goodHeader, raw(`{"Exp":9999999999,`+string(with(claims, "exp", nil))[1:])), "ERR-1201"},
		"duplicate, escaped":    {signRS256(key, goodHeader, raw(`{"\u0073ub":"evil",`+string(good)[1:])), "ERR-1201"},
		"half a surrogate pair": {signRS256(key, goodHeader, literal("sub", `"x\ud800"`)), "ERR-1201"},
		"the other half":        {signRS256(key, goodHeader, literal("sub", `"x\udfff"`)), "ERR-1201"},
		"both halves":           {signRS256(key, goodHeader, literal("sub", `"x\ud83d\ude00"`)), "x\U0001f600"},
		"subject no UTF-8":      {signRS256(key, goodHeader, literal("sub", "\"x\xff\"")), "ERR-1201"},
		"kid no Unicode":        {signRS256(key, `{"alg":"RS256","kid":"k1\ud800"}`, good), "ERR-1201"},
		"duplicate in nested":   {signRS256(key, goodHeader, raw(`{"x":[{"a":1,"a":2}],`+string(good)[1:])), "ERR-1201"},
		"nested objects": {signRS256(key, goodHeader,
			raw(`{"x":[{"a":1},{"a":{"b":"a"}}],`+string(good)[1:])), "user_1"},
		"duplicate header":        {signRS256(key, `{"alg":"RS256","kid":"k1","kid":"k1"}`, good), "ERR-1201"},
		"claims no object":        {signRS256(key, goodHeader, `"user_1"`), "ERR-1201"},
		"claims no JSON":          {signRS256(key, goodHeader, `{"sub":`), "ERR-1201"},
		"claims twice":            {signRS256(key, goodHeader, good+good), "ERR-1201"},
		"alg none":                {b64([]byte(`{"alg":"none","kid":"k1"}`)) + "." + parts[1] + ".", "ERR-1201"},
		"alg None":                {b64([]byte(`{"alg":"None","kid":"k1"}`)) + "." + parts[1] + ".", "ERR-1201"},
		"alg nOnE":                {b64([]byte(`{"alg":"nOnE","kid":"k1"}`)) + "." + parts[1] + "." + parts[2], "ERR-1201"},
		"no alg":                  {signRS256(key, `{"kid":"k1"}`, good), "ERR-1201"},
		"alg PS256":               {signRS256(key, `{"alg":"PS256","kid":"k1"}`, good), "ERR-1201"},
		"alg rs256":               {signRS256(key, `{"alg":"rs256","kid":"k1"}`, good), "ERR-1201"},
		"empty signature":         {parts[0] + "." + parts[1] + ".", "ERR-1201"},
		"null bytes as signature": {parts[0] + "." + parts[1] + "." + b64(make([]byte, 256)), "ERR-1201"},
		"changed claims":          {parts[0] + "." + b64([]byte(with(claims, "sub", "evil"))) + "." + parts[2], "ERR-1201"},
		"other key":               {signRS256(other, goodHeader, good), "ERR-1201"},
		"HS256 with the PEM":      {signHS256(public, hs, good), "ERR-1201"},
		"HS256 with the DER":      {signHS256(der, hs, good), "ERR-1201"},
		"HS256 with the JWK":      {signHS256([]byte(publicJWK("k1", key)), hs, good), "ERR-1201"},
		"embedded jwk": {signRS256(other, raw(`{"alg":"RS256","kid":"k1","jwk":`+publicJWK("k1",
			other)+`}`), good), "ERR-1201"},
		"crit":          {signRS256(key, `{"alg":"RS256","kid":"k1","crit":["exp"]}`, good), "ERR-1201"},
		"no kid":        {signRS256(key, `{"alg":"RS256"}`, good), "ERR-1201"},
		"number as kid": {signRS256(key, `{"alg":"RS256","kid":1}`, good), "ERR-1201"},
		"kid traversal": {signRS256(key, `{"alg":"RS256","kid":"../../etc/passwd"}`, good), "ERR-1205"}, // for now
		"kid SQL":       {signRS256(key, `{"alg":"RS256","kid":"k1' OR '1'='1"}`, good), "ERR-1205"},
		"long kid": {signRS256(key, raw(`{"alg":"RS256","kid":"`+strings.Repeat("k", 129)+`"}`),
			good), "ERR-1201"},
		"token of 100 kB": {
			signRS256(key, goodHeader, with(claims, "x", strings.Repeat("x", 100_000))),
			"ERR-1201",
		},
		"kid of 1 MB": {signRS256(key, raw(`{"alg":"RS256","kid":"`+strings.Repeat("k", 1<<20)+`"}`),
			good), "ERR-1201"},
		"trailing newline":          {valid + "\n", "ERR-1201"},
		"space inside":              {parts[0] + ". " + parts[1] + "." + parts[2], "ERR-1201"},
		"padding":                   {valid + "=", "ERR-1201"},
		"two parts":                 {parts[0] + "." + parts[1], "ERR-1201"},
		"five parts, as encryption": {valid + ".a.b", "ERR-1201"},
		"token in a token":          {signRS256(key, goodHeader, raw(`"`+valid+`"`)), "ERR-1201"},
		"not base64":                {"%%%." + parts[1] + "." + parts[2], "ERR-1201"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := codeOf(v, "Bearer "+test.token); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	for header, want := range map[string]string{
		"":                 "ERR-1203",
		"Bearer":           "ERR-1203",
		"Bearer ":          "ERR-1203",
		"Basic dTpw":       "ERR-1203",
		valid:              "ERR-1203",
		"bearer " + valid:  "user_1",
		"BEARER " + valid:  "user_1",
		"Bearer  " + valid: "ERR-1201",
	} {
		if got := codeOf(v, header); got != want {
			t.Errorf("header %.20q: got %s, want %s", header, got, want)
		}
	}
}

func TestTokenAudience(t *testing.T) {
	c, key := newClock(), keyPair()
	v := newVerifier(t, newIssuer(t, publicJWK("k1", key)), c, func(cfg *auth.Config) { cfg.Audience = "api" })
	for want, audience := range map[string]any{"user_1": []string{"web", "api"}, "ERR-1201": "web"} {
		if got := codeOf(v, "Bearer "+signRS256(key, goodHeader, with(goodClaims(c), "aud", audience))); got != want {
			t.Errorf("audience %v: got %s, want %s", audience, got, want)
		}
	}
	expired := with(goodClaims(c), "exp", c.unix(-time.Hour))
	if got := codeOf(v, "Bearer "+signRS256(key, goodHeader, expired)); got != "ERR-1201" {
		t.Errorf("expired without audience: got %s", got)
	}
}

func TestVerifier_IgnoresKeyURLsInTokens(t *testing.T) {
	var asked atomic.Int64
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer trap.Close()
	c := newClock()
	v := newVerifier(t, newIssuer(t, publicJWK("k1", keyPair())), c, nil)
	for _, member := range []string{"jku", "x5u"} {
		header := raw(fmt.Sprintf(`{"alg":"RS256","kid":"k1",%q:%q}`, member, trap.URL))
		if got := codeOf(v, "Bearer "+signRS256(otherPair(), header, with(goodClaims(c), "x", 1))); got != "ERR-1201" {
			t.Errorf("%s: got %s", member, got)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests to an address in a token", n)
	}
}

func TestVerifierConfig(t *testing.T) {
	for name, cfg := range map[string]auth.Config{
		"no issuer":          {JWKSURL: "https://example.com/jwks"},
		"plain http":         {JWKSURL: "http://example.com/jwks", Issuer: "x"},
		"no url":             {Issuer: "x"},
		"not a url":          {JWKSURL: "https://%zz", Issuer: "x"},
		"file":               {JWKSURL: "file:///etc/passwd", Issuer: "x"},
		"loopback lookalike": {JWKSURL: "http://127.0.0.1.example.com/jwks", Issuer: "x"},
	} {
		if _, err := auth.NewVerifier(t.Context(), cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, url := range []string{
		"https://example.com/jwks", "http://localhost:1/jwks", "http://[::1]:1/",
		"http://127.0.0.2:1/",
	} {
		if _, err := auth.NewVerifier(t.Context(), auth.Config{JWKSURL: url, Issuer: "x"}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestDevelopmentIssuer(t *testing.T) {
	dir := t.TempDir()
	d, err := auth.NewDevelopmentIssuer(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := auth.NewDevelopmentIssuer(dir)
	if err != nil || string(again.JWKS()) != string(d.JWKS()) {
		t.Fatalf("the key is not kept: %v", err)
	}
	token, err := again.Token("developer", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	is := newIssuer(t)
	text := string(d.JWKS())
	is.body.Store(&text)
	v, err := auth.NewVerifier(t.Context(), auth.Config{JWKSURL: is.URL, Issuer: auth.DevelopmentIssuerName})
	if err != nil {
		t.Fatal(err)
	}
	if got := codeOf(v, "Bearer "+token); got != "developer" {
		t.Errorf("got %s", got)
	}
	old, _ := d.Token("developer", -time.Hour)
	if got := codeOf(v, "Bearer "+old); got != "ERR-1202" {
		t.Errorf("expired: got %s", got)
	}
	if strings.Contains(text, `"d"`) {
		t.Error("the set holds a private key")
	}
}
