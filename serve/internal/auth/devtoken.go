package auth

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// DevelopmentIssuerName is the issuer of development tokens.
const DevelopmentIssuerName = "millrace-development"

const developmentKeyFile = "development-key.pem"

// DevelopmentIssuer signs tokens for a service without an identity provider. Its tokens are verified like all others.
type DevelopmentIssuer struct {
	key *rsa.PrivateKey
	kid string
}

// NewDevelopmentIssuer reads the issuer's key from a directory, or creates it there with mode 0600.
func NewDevelopmentIssuer(dir string) (*DevelopmentIssuer, error) {
	path := filepath.Join(dir, developmentKeyFile)
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("development key: %w", err)
	}
	sum := sha256.Sum256(x509.MarshalPKCS1PublicKey(&key.PublicKey))
	return &DevelopmentIssuer{key: key, kid: Base64url.EncodeToString(sum[:12])}, nil
}

func readKey(path string) (*rsa.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 { // Windows keeps rights elsewhere
		return nil, errors.New("others can read the file; remove it or set its mode to 0600")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("file holds no key")
	}
	return x509.ParsePKCS1PrivateKey(block.Bytes)
}

func makeKey(path string) (*rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	if err := os.WriteFile(path+".new", pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	return key, os.Rename(path+".new", path)
}

// Token signs a token for a subject, valid from now for ttl.
func (d *DevelopmentIssuer) Token(subject string, ttl time.Duration) (string, error) {
	now := time.Now()
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": DevelopmentIssuerName, "sub": subject, "sid": "development", "iat": now.Unix(), "nbf": now.Unix(),
		"exp": now.Add(ttl).Unix(),
	})
	t.Header["kid"] = d.kid
	return t.SignedString(d.key)
}

// JWKS returns the public key as a JWK set.
func (d *DevelopmentIssuer) JWKS() []byte {
	set := jwkSet{Keys: []jwk{{
		Type: "RSA", Use: "sig", Algorithm: "RS256", ID: d.kid,
		Modulus:  Base64url.EncodeToString(d.key.N.Bytes()),
		Exponent: Base64url.EncodeToString(big.NewInt(int64(d.key.E)).Bytes()),
	}}}
	text, _ := json.Marshal(set) // plain strings always encode
	return text
}
