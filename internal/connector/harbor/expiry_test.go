package harbor_test

import (
	"testing"
	"time"

	"portolan/internal/connector"
	"portolan/internal/connector/harbor/harbortest"
)

func TestCredentialExpires(t *testing.T) {
	t.Parallel()
	end := noon.Add(20 * 24 * time.Hour)
	for name, tt := range map[string]struct {
		robot harbortest.Robot
		want  time.Time
		tells bool
	}{
		"ends":           {harbortest.Robot{Name: robot, Expires: end, ListRobots: true}, end, true},
		"never":          {harbortest.Robot{Name: robot, ListRobots: true}, time.Time{}, true},
		"not permitted":  {harbortest.Robot{Name: robot, Expires: end}, time.Time{}, false},
		"of a project":   {harbortest.Robot{Name: "robot$team+reader", Expires: end, ListRobots: true}, time.Time{}, false},
		"another prefix": {harbortest.Robot{Name: "bot_reader", Expires: end, ListRobots: true}, time.Time{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.robot.Secret, tt.robot.Projects = secret, []string{"*"}
			others := []harbortest.Robot{{Name: robot + "2", Secret: "x", Expires: noon.Add(time.Hour)}}
			fake := harbortest.New(harbortest.Model{Now: func() time.Time { return noon }, Robots: append(others, tt.robot)})
			s := open(t, fake, tt.robot.Name, secret)
			at, tells := s.(connector.Expirer).CredentialExpires(t.Context())
			if !at.Equal(tt.want) || tells != tt.tells {
				t.Errorf("ends %s, told %v; want %s, %v", at, tells, tt.want, tt.tells)
			}
		})
	}
}
