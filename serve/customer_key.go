package serve

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/retainwise/millrace/store"
)

const customerKeyFile = "customer-key"

// openCustomerKey takes the secret, or reads one from a directory, where it is made at the first start.
func openCustomerKey(secret, dir string) (store.CustomerKey, error) {
	var err error
	if secret == "" {
		secret, err = readSecret(filepath.Join(dir, customerKeyFile))
	}
	var key store.CustomerKey
	if err == nil {
		key, err = store.NewCustomerKey([]byte(secret))
	}
	if err != nil {
		return key, fmt.Errorf("customer key: %w", err)
	}
	return key, nil
}

// readSecret reads a file that only this user can read, or makes it with random text.
func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeSecret(path)
	}
	if err != nil {
		return "", err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 { // Windows keeps rights elsewhere
		return "", errors.New("others can read the file; set its mode to 0600")
	}
	text, err := os.ReadFile(path)
	return string(text), err
}

// makeSecret lets one of several processes that start at once win; the others read what it wrote.
func makeSecret(path string) (string, error) {
	file, err := os.CreateTemp(filepath.Dir(path), customerKeyFile+"-*") // nobody else can read it
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	text := hex.EncodeToString(random(store.CustomerSecretMin))
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return "", err
	}
	if err := os.Link(file.Name(), path); errors.Is(err, fs.ErrExist) {
		return readSecret(path)
	} else if err != nil {
		return "", err
	}
	return text, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
