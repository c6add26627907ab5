package pglocal
import ("testing";"time";"context")
func TestTmp(t *testing.T){
 dir:=place(t)
 for i:=range 4 { b:=time.Now(); Find(); t.Log("find",time.Since(b)); b=time.Now()
 s,err:=Start(context.Background(),Options{Dir:dir,Template:template}); if err!=nil{t.Fatal(err)}
 t.Log(i,"start",time.Since(b)); b=time.Now(); s.Stop(context.Background()); t.Log("stop",time.Since(b))}
 d2:=place(t); b:=time.Now(); s,_:=Start(context.Background(),Options{Dir:d2,Template:template}); t.Log("template",time.Since(b)); s.Stop(context.Background())
 b=time.Now(); err:=copyTree(context.Background(), template+"/pg-15.18", d2+"/cp", s.who); t.Log("copy",time.Since(b),err)
 evict(context.Background(), d2+"/cp", s.bin,s.who,patient)
 b=time.Now(); residents(d2+"/cp"); t.Log("residents",time.Since(b))
}
