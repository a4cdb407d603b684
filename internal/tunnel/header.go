package tunnel

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"portolan"
	"portolan/internal/netguard"
)

// request is the header of a stream from the server.
type request struct {
	Address string `json:"address"` // host:port
}

// answer is the header from the agent. Without a class the connection is made.
type answer struct {
	Class   portolan.ErrorClass `json:"class,omitempty"`
	Message string              `json:"message,omitempty"`
	Remedy  string              `json:"remedy,omitempty"`
}

// maxText bounds the texts of an answer, so that it fits into a header however
// it is escaped.
const maxText = 300

var errHeader = errors.New("the header of a stream cannot be read")

// writeHeader writes a value with its length, in one piece.
func writeHeader(w io.Writer, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(body) > maxHeader {
		return fmt.Errorf("%w: %d bytes are too many", errHeader, len(body))
	}
	b := binary.BigEndian.AppendUint16(nil, uint16(len(body)))
	_, err = w.Write(append(b, body...))
	return err
}

// readHeader reads a value and nothing of what follows it.
func readHeader(r io.Reader, v any) error {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint16(size[:])
	if n > maxHeader {
		return fmt.Errorf("%w: %d bytes are too many", errHeader, n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%w: it is not JSON", errHeader) // the cause could quote it
	}
	return nil
}

// answerOf tells the server how a dial went.
func answerOf(err error) answer {
	if err == nil {
		return answer{}
	}
	known, ok := errors.AsType[*netguard.Error](err)
	if !ok {
		return answer{Class: portolan.ConnectFailure, Message: "The agent could not connect.", Remedy: "Look into its log."}
	}
	return answer{known.Class, shorten(known.Message), shorten(known.Remedy)}
}

// failure is the error that an answer tells, nil for none. Agents are believed
// about what their network is like and about nothing else.
func (a *answer) failure(agent string) error {
	switch a.Class {
	case "":
		return nil
	case portolan.DNSFailure, portolan.AddressForbidden, portolan.ConnectFailure:
	default:
		a.Class = portolan.ConnectFailure
	}
	return &netguard.Error{
		Class:   a.Class,
		Message: "Agent " + agent + ": " + shorten(a.Message),
		Remedy:  shorten(a.Remedy),
	}
}

// shorten keeps a text to one short line.
func shorten(text string) string {
	if len(text) > maxText {
		text = text[:maxText] + "…"
	}
	line := make([]rune, 0, len(text))
	for _, r := range text {
		if !portolan.Printable(string(r)) {
			r = ' '
		}
		line = append(line, r)
	}
	return string(line)
}
