package diag

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// Secret holds a password, private key, token or cookie. It cannot be printed, logged or marshalled: every such attempt
// yields whether one was given, never what it is. Only [Secret.Reveal] hands it out, at the place that must send it.
type Secret struct {
	value string
	gone  bool
}

// NewSecret wraps a value; the empty string means that none was given.
func NewSecret(value string) Secret { return Secret{value: value} }

// Given tells whether a secret was given, also where it has been forgotten since.
func (s Secret) Given() bool { return s.value != "" || s.gone }

// Gone tells that one was given and is no longer known: a run of the past, read from the archive. It must be asked for
// again before anything is dialled with it.
func (s Secret) Gone() bool { return s.gone && s.value == "" }

// Reveal returns the secret itself, for the one place that sends it to the target.
func (s Secret) Reveal() string { return s.value }

// Forgotten leaves of a secret that one was given.
func (s Secret) Forgotten() Secret { return Secret{gone: s.Given()} }

const secretMask = "[secret]"

// String returns a mask, or nothing where no secret was given.
func (s Secret) String() string {
	if !s.Given() {
		return ""
	}
	return secretMask
}

// GoString keeps %#v from printing the field.
func (s Secret) GoString() string { return fmt.Sprintf("diag.Secret(given=%t)", s.Given()) }

// Format answers every verb with the mask, so that no format string gets behind it.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// LogValue keeps log/slog from printing it.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON writes whether one was given: true or false.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.Given()) }

// MarshalText keeps text encoders from seeing the value.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalJSON accepts a string (the secret) or the boolean that MarshalJSON wrote, which restores that one was given and
// not which.
func (s *Secret) UnmarshalJSON(data []byte) error {
	var given bool
	if err := json.Unmarshal(data, &given); err == nil {
		*s = Secret{gone: given}
		return nil
	}
	var value string
	if err := json.Unmarshal(data, &value); err != nil {
		return fmt.Errorf("a secret is a string")
	}
	*s = NewSecret(value)
	return nil
}
