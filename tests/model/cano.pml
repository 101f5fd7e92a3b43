/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs/protocol.md as a model for SPIN: the ring with its two locks, leases, blocks, repair under the guard, attaching,
 * shutdown, join. Everything is tried: every interleaving, every death.
 *
 * One atomic{} is one shared access, or several that are provably one (reads of what a held lock makes stable). S(x) is "die
 * here, or do x". A guard that blocks is a sleep in slices: the sleeper looks again by itself, so nothing here depends on a
 * wake (except with M_WAKE). Death drops the lease (alive[]) and the guard at once; lock words stay. Memory is sequentially
 * consistent: fences are argued in the code, not here.
 *
 * Choices, by -D:
 *   MAXD=n     how many may die             NMSG=n    messages             C=n, M=n   ring cells, modulo of positions
 *   START=n    offset of the ring (default: all)      NOJOIN    no joiner  ONELEASE  one getter leases, one does not
 *   RESPAWN    a freed slot is attached again, in steps
 *   BATCH      putters put two messages as one        BLOCKS    messages lie in blocks; the ring refers to them
 *   SHUT       somebody shuts down immediately
 *   M_...      one planted mistake: run.sh has the list, and what must come of it
 */
#ifndef MAXD
#define MAXD 1
#endif
#ifndef NMSG
#define NMSG 2
#endif
#ifndef C
#define C 6
#endif
#ifndef M
#define M 12
#endif
#define NL 2                   /* ledger entries */
#define NB 2                   /* blocks */
#define PAD 200
#define STALE 1                /* what an earlier lap left in every cell: looks like message 1 */
#ifdef BLOCKS
#define LEN(i) 2
#else
#define LEN(i) (2 + (1-((i)&1)))  /* odd ids two cells, even ids three */
#endif

#define P0 0
#define P1 1
#define G0 2
#define G1 3
#define J0 4
#define GUARDWORD 250          /* slot 0: whoever holds the guard */
#define NOBODY 255             /* M_OWNER only */

#ifdef M_ABA
#define W(s) (1+(s))
#define DEADW(w) ((w)!=NOBODY && (w)!=GUARDWORD && (w)!=0 && !alive[(w)-1])
#else
#define W(s) (1+(s)+8*gen[s])
#define DEADW(w) ((w)!=NOBODY && (w)!=GUARDWORD && (w)!=0 && !(alive[((w)-1)&7] && gen[((w)-1)&7]==(((w)-1)>>3)))
#endif
#define FREE 0
#define PREP 32
#define HELD 64
#define ORPH 96
#define QUEUE 251              /* a block of the queue's */

byte ring[C];
byte hpos, hcnt, tpos, tcnt;   /* hpos+hcnt are one word, so are tpos+tcnt */
byte plock, glock, guard;
byte ent[NL], epos[NL], epay[NL];
byte blk[NB], bpay[NB], eblk[NL];
bool need, shut;
bool alive[5], used[5];
byte gen[5];
byte deaths, ndirty;           /* ndirty: slots used by the dead */
#ifdef M_WAKE
bool gwait[5];
#endif
#ifdef M_STORED
byte unf;
#endif

/* the oracle */
byte st[NMSG+1];               /* 0 not put, 1 committed, 2 leased, 3 done, 4 discarded */
byte U;                        /* messages in state 1 or 2 */
byte H2;                       /* messages in state 2 */
bool zseen, joined;

#define MOD(x) ((x)%M)
#define DIST(a,b) (((b)+M-(a))%M)
#define BEFORE(p,h) (DIST(p,h)>=1 && DIST(p,h)<=M/2)

#define DIE deaths++; alive[me]=0; ndirty++; if :: guard==me+1 -> guard=0 :: else fi; goto dead
#define S(x) atomic { if :: deaths<MAXD -> DIE :: true -> x fi }

/* ---- locks ---- */

inline acquire(L)
{
  do
  ::
#ifdef M_OWNER
     atomic { L==0 -> L = NOBODY }
     S(L = W(me)); tk=0; break
#else
     atomic { L==0 -> L = W(me); tk=0; break }
#endif
  :: atomic { DEADW(L) -> w = L }
     atomic { if :: L==w -> L = W(me); w=0; tk=1; break :: else -> w=0 fi }
  :: atomic { (L==GUARDWORD && guard==0) -> skip } ->   /* nobody may judge it but who holds the guard */
     repair()
  od
}

inline walk(from)
{
  x=0; y=from;
  do
  :: ring[y%C]==0 -> break
  :: ring[y%C]==PAD -> y = MOD(y + C - (y%C))
  :: else -> assert(ring[y%C]<=NMSG && x<5); y = MOD(y + LEN(ring[y%C])); x++
  od
}

inline fixtail()
{
#if (defined(BLOCKS) || defined(SHUT)) && !defined(M_NONEED)
  S( need=1 );
#endif
#ifdef M_REPAIR
  S( walk(tpos); tcnt=tcnt+x; x=0; y=0 );
  S( walk(tpos); tpos=y; x=0; y=0 )
#else
  S( walk(tpos); tpos=y; tcnt=tcnt+x; x=0; y=0 )
#endif
}

inline settle1(E)
{
  if :: (ent[E]&96)==PREP ->
        if :: BEFORE(epos[E],hpos) ->
#ifdef M_PREPHELD
              ent[E] = HELD + (ent[E]&31)
#else
              ent[E] = ORPH
#endif
           :: else -> ent[E] = FREE fi
#ifdef M_CMPALL
     :: (ent[E]&96)==HELD && !BEFORE(epos[E],hpos) -> ent[E] = FREE
#endif
     :: else fi
}

inline settle()
{
#ifndef M_GETNOTHING
  S( settle1(0) );
  S( settle1(1) )
#else
  skip
#endif
}

/* ---- repair ---- */

inline orphan1(E)
{
  if :: ent[E]==HELD+W(d) -> assert(!alive[d]); ent[E] = ORPH
#ifdef M_GETNOTHING
     :: ent[E]==PREP+W(d) -> if :: BEFORE(epos[E],hpos) -> ent[E]=ORPH :: else -> ent[E]=FREE fi
#endif
     :: else fi
}
#ifdef M_NOGLOCKCMP
#define ORPHAN(E) \
  S( x=0; if :: ent[E]==PREP+W(d) -> x=1+BEFORE(epos[E],hpos) :: else fi ); \
  S( if :: x==1 -> ent[E]=FREE :: x==2 -> ent[E]=ORPH :: else -> orphan1(E) fi; x=0 )
#else
#define ORPHAN(E) S( orphan1(E) )
#endif

/* Blocks that ring or entries lead to, as bits of x. One step: both locks are held, and an entry that becomes free meanwhile
 * only frees what is marked. */
inline mark()
{
  x=0; y=hpos;
  do
  :: ring[y%C]==0 -> break
  :: ring[y%C]==PAD -> y = MOD(y + C - (y%C))
  :: else -> x = x | (1<<ring[(y+1)%C]); y = MOD(y+2)
  od;
  y=0;
  if :: ent[0]!=FREE -> x = x | (1<<eblk[0]) :: else fi;
  if :: ent[1]!=FREE -> x = x | (1<<eblk[1]) :: else fi
}
#define DEADS(b) (blk[b]!=0 && blk[b]!=QUEUE && DEADW(blk[b]))
#define SWEEP1(b) if \
  :: ((x>>b)&1) && DEADS(b) -> blk[b] = QUEUE \
  :: !((x>>b)&1) && (DEADS(b) || blk[b]==QUEUE) -> blk[b] = 0; bpay[b] = 0 \
  :: else fi

#ifdef SHUT
inline discard()
{
  S( if :: ent[0]==ORPH -> drop(epay[0]); ent[0]=FREE :: else fi );
  S( if :: ent[1]==ORPH -> drop(epay[1]); ent[1]=FREE :: else fi );
  S( y=hpos; x=hcnt;
     do :: ring[y%C]==0 -> break
        :: ring[y%C]==PAD -> y = MOD(y + C - (y%C))
        :: else -> drop(ring[y%C]); y = MOD(y + LEN(ring[y%C])); x++ od;
     hpos=y; hcnt=x; x=0; y=0 )
}
inline drop(i) { if :: st[i]==2 -> H2-- :: else fi; assert(st[i]==1 || st[i]==2); st[i]=4; U-- }
#endif

/* With both locks in the name n. */
inline blocks()
{
  S( need=0 );
#ifdef SHUT
  if :: shut -> discard() :: else fi;
#endif
#ifdef BLOCKS
  S( mark() );
  S( SWEEP1(0) );
  S( SWEEP1(1) );
  x=0; y=0
#else
  skip
#endif
}

inline repair()
{
  atomic { guard==0 -> guard = me+1 }
  /* a lock that names the guard names one who died with it */
  S( if :: plock==GUARDWORD -> tk=1 :: else -> tk=0 fi );
  if :: tk -> tk=0; fixtail(); S( plock=0 ) :: else fi;
  S( if :: glock==GUARDWORD -> tk=1 :: else -> tk=0 fi );
  if :: tk -> tk=0; settle(); S( glock=0 ) :: else fi;
  d = 0;
  do
  :: atomic { d<5 && used[d] && !alive[d] -> skip };
#ifdef M_SLOTFIRST
     S( used[d]=0; ndirty-- );
#endif
     S( if :: plock==W(d) -> plock=GUARDWORD; tk=1 :: else -> tk=0 fi );
     if :: tk -> tk=0; fixtail(); S( plock=0 ) :: else fi;
     S( if :: glock==W(d) -> glock=GUARDWORD; tk=1 :: else -> tk=0 fi );
     if :: tk -> tk=0; settle(); S( glock=0 ) :: else fi;
     ORPHAN(0);
     ORPHAN(1);
#ifdef M_STORED
     S( unf = tcnt-hcnt + (ent[0]!=FREE) + (ent[1]!=FREE) );
#endif
#if defined(BLOCKS) || defined(SHUT)
     /* both locks by a try, putters' first; failing leaves the slot for the next look */
     if :: atomic { need || blk[0]==W(d) || blk[1]==W(d) -> skip };
#ifdef M_ONELOCK
           S( tk=1 );
#else
           S( if :: plock==0 -> plock=GUARDWORD; tk=1 :: else -> tk=0 fi );
#endif
           if :: tk ->
                 S( if :: glock==0 -> glock=GUARDWORD; tk=2 :: else fi );
                 if :: tk==2 -> blocks(); S( glock=0 ) :: else fi;
#ifndef M_ONELOCK
                 S( plock=0 );
#endif
                 tk=0
              :: else fi
        :: atomic { else -> skip } fi;
#endif
#ifndef M_SLOTFIRST
     S( if :: plock==W(d) || glock==W(d) || blk[0]==W(d) || blk[1]==W(d) -> skip
           :: else -> used[d]=0; ndirty-- fi );
#endif
     d++
  :: atomic { d<5 && !(used[d] && !alive[d]) -> d++ }
  :: atomic { d>=5 -> d=0; break }
  od;
#if defined(BLOCKS) || defined(SHUT)
  /* what could not be swept above; a half-done discard, or one that something came back behind */
  if :: atomic { (need || (shut && (ent[0]==ORPH || ent[1]==ORPH))) -> skip };
        S( if :: plock==0 -> plock=GUARDWORD; tk=1 :: else -> tk=0 fi );
        if :: tk ->
              S( if :: glock==0 -> glock=GUARDWORD; tk=2 :: else fi );
              if :: tk==2 -> blocks(); S( glock=0 ) :: else fi;
              S( plock=0 ); tk=0
           :: else fi
     :: atomic { else -> skip } fi;
#endif
  S( guard=0 )
}

#if defined(BLOCKS) || defined(SHUT)
#define DIRTY (guard==0 && (ndirty>0 || plock==GUARDWORD || glock==GUARDWORD || (need && plock==0 && glock==0) \
               || (shut && (ent[0]==ORPH || ent[1]==ORPH))))
#else
#define DIRTY (guard==0 && (ndirty>0 || plock==GUARDWORD || glock==GUARDWORD))
#endif

#define COMMIT(i) assert(st[i]==0); st[i]=1; U++
#define DONE(i) assert(st[i]==2); st[i]=3; U--; H2--; if :: U==0 -> zseen=1 :: else fi

/* ---- attach: in steps, under the guard ---- */

inline attach()
{
  atomic { (guard==0 && used[me]==0) -> guard = me+1; alive[me]=1; ndirty=ndirty }  /* the lease is taken: death is seen from here */
  S( gen[me]++; used[me]=1 );                                  /* one store: slot live, new generation */
  S( guard=0 )
}

/* ---- putters ---- */

#define PADLEN(t,n) (((t)%C)+(n)>C -> C-((t)%C) : 0)
#ifdef M_SPACE
#define FITS(t,n) (DIST(hpos,t)+PADLEN(t,n)+(n) <= C)
#else
#define FITS(t,n) (DIST(hpos,t)+PADLEN(t,n)+(n)+1 <= C)
#endif
#ifdef BATCH
#define NEED(i) (LEN(i)+LEN((i)+2))
#define LAST(i) ((i)+2<=NMSG -> (i)+2 : (i))
#else
#define NEED(i) LEN(i)
#endif

proctype Putter(byte me)
{
  byte id, w, tk, x, y, d, r, nt, b;
start:
  id = me+1;
  do
  :: atomic { (id<=NMSG && st[id]!=0) -> id=id+2 }
  :: atomic { id>NMSG -> break }
  :: atomic { (id<=NMSG && st[id]==0) -> skip };
#ifdef BLOCKS
     /* allocation is one store; what it writes is nobody's else's */
endblk: S( if :: blk[0]==0 -> blk[0]=W(me); b=0; x=1 :: blk[0]!=0 && blk[1]==0 -> blk[1]=W(me); b=1; x=1 :: else -> x=0 fi );
     if :: x==0 ->
endfullb:  atomic { blk[0]==0 || blk[1]==0 || DIRTY || shut -> skip };
           if :: DIRTY -> repair() :: shut -> break :: else fi; goto again
        :: else -> x=0 fi;
     S( bpay[b]=id );
#endif
again0:
     acquire(plock);
     if :: tk -> tk=0; fixtail() :: else fi;
     if :: shut -> S( plock=0 );
#ifdef BLOCKS
           S( blk[b]=0; bpay[b]=0; b=0 );
#endif
           break
        :: else fi;
     S( if :: FITS(tpos,NEED(id)) -> r = MOD(tpos+PADLEN(tpos,NEED(id))); nt = MOD(r+NEED(id)); x=1 :: else -> x=0 fi );
     if :: x==0 ->
           S( plock=0 );
endfull:   atomic { (FITS(tpos,NEED(id)) || DIRTY || shut) -> skip };
           if :: DIRTY -> repair() :: else fi; goto again0
        :: x==1 -> x=0;
#ifdef M_STORED
           S( unf++ );
#endif
#ifdef BLOCKS
#ifndef M_GIVELATE
           S( assert(blk[b]==W(me)); blk[b]=QUEUE );
#endif
           S( ring[(r+1)%C]=b );
#else
           S( ring[(r+1)%C]=id );
           if :: LEN(id)==3 -> S( ring[(r+2)%C]=id ) :: else fi;
#endif
#ifdef BATCH
           if :: NEED(id)>LEN(id) && id+2<=NMSG ->
                 S( ring[(r+LEN(id)+1)%C]=id+2 );
                 if :: LEN(id+2)==3 -> S( ring[(r+LEN(id)+2)%C]=id+2 ) :: else fi;
#ifndef M_BATCHFIRST
                 S( ring[(r+LEN(id))%C]=id+2 )
#endif
              :: else -> nt = MOD(r+LEN(id)) fi;
#endif
#ifdef M_PADFIRST
           if :: r!=tpos -> S( ring[tpos%C]=PAD ) :: else fi;
#endif
#ifdef M_HDRFIRST
           skip;
#endif
#ifndef M_NOZERO
           S( ring[nt%C]=0 );
#endif
           if :: r!=tpos -> S( ring[r%C]=id ) :: else fi;
#ifdef BATCH
           S( ring[tpos%C] = (r!=tpos -> PAD : id); COMMIT(id); if :: id+2<=NMSG -> COMMIT(id+2) :: else fi );
#ifdef M_BATCHFIRST
           if :: id+2<=NMSG -> S( ring[(r+LEN(id))%C]=id+2 ) :: else fi;
#endif
#else
           S( ring[tpos%C] = (r!=tpos -> PAD : id); COMMIT(id) );
#endif
#ifdef M_GIVELATE
           S( if :: blk[b]==W(me) -> blk[b]=QUEUE :: else fi );
#endif
#ifdef BATCH
           S( tpos=nt; tcnt = tcnt+1+(id+2<=NMSG); r=0; nt=0 );
#else
#ifdef M_SPLIT
           S( tpos=nt );
           S( tcnt++; r=0; nt=0 );
#else
           S( tpos=nt; tcnt++; r=0; nt=0 );
#endif
#endif
           S( plock=0; b=0 );
           S( skip );
#ifdef M_WAKE
           S( gwait[G0]=0; gwait[G1]=0 );
#endif
     fi;
again:
     skip
  od;
endput: false;
dead:
  atomic { id=0; w=0; tk=0; x=0; y=0; d=0; r=0; nt=0; b=0 };
#ifdef RESPAWN
enddead: attach();
  goto start
#else
enddead2: false
#endif
}

/* ---- getters ---- */

inline take(E)
{
  id = epay[E]; e = E; assert(st[id]==2); ent[E] = HELD+W(me)
}
inline pick() { if :: ent[0]==FREE -> e=0 :: ent[0]!=FREE && ent[1]==FREE -> e=1 :: else -> assert(false) fi }
#ifdef M_SPLIT
#define sethead() assert(st[id]==1); hpos=nh; st[id]=2; H2++
#else
#define sethead() assert(st[id]==1); hpos=nh; hcnt++; st[id]=2; H2++
#endif

proctype Getter(byte me; bool leases)
{
  byte w, tk, x, y, d, id, e, nh, b; bool held;
start:
  held=0;
  do
  :: acquire(glock);
     if :: tk -> tk=0; settle() :: else fi;
     if :: shut -> S( glock=0 ); break :: else fi;
     S( id=0; if :: ent[0]==ORPH -> take(0); held=1 :: ent[0]!=ORPH && ent[1]==ORPH -> take(1); held=1 :: else fi );
     if :: id!=0 -> S( glock=0 )
        :: else ->
           S( nh = hpos;
              if :: ring[nh%C]==PAD -> nh = MOD(nh+C-(nh%C)) :: else fi;
              id = ring[nh%C] );
           if :: id==0 ->
                 S( glock=0; nh=0 );
#ifdef M_WAKE
                 atomic { gwait[me]=1 };
                 if :: atomic { ring[hpos%C]!=0 || ent[0]==ORPH || ent[1]==ORPH || DIRTY -> gwait[me]=0 }
                    :: atomic { else -> skip } fi;
endwait:         atomic { (gwait[me]==0 || DIRTY) -> gwait[me]=0 };
#else
endwait:         atomic { (ring[hpos%C]!=0 || ent[0]==ORPH || ent[1]==ORPH || DIRTY || shut) -> skip };
#endif
                 if :: DIRTY -> repair() :: else fi
              :: else ->
#ifdef BLOCKS
                 S( assert(id<=NMSG); b = ring[(nh+1)%C]; assert(b<NB); nh = MOD(nh+2) );
#else
                 S( assert(id<=NMSG);
                    assert(ring[(nh+1)%C]==id && (LEN(id)==2 || ring[(nh+2)%C]==id));
                    nh = MOD(nh+LEN(id)) );
#endif
                 if :: leases ->
#ifdef M_LEASEAFTER
                       S( sethead() );
                       S( pick(); epos[e]=MOD(nh+M-LEN(id)); epay[e]=id; eblk[e]=b );
#else
                       S( pick(); epos[e]=MOD(nh+M-LEN(id)); epay[e]=id; eblk[e]=b );
                       S( ent[e]=PREP+W(me) );
                       S( sethead() );
#endif
#ifdef M_SPLIT
                       S( hcnt++ );
#endif
#ifdef M_HELDAFTER
                       S( glock=0; nh=0 );
                       S( ent[e]=HELD+W(me); held=1 )
#else
                       S( ent[e]=HELD+W(me); held=1 );
                       S( glock=0; nh=0 )
#endif
                    :: else ->
#ifdef BLOCKS
#ifdef M_OWNLATE
                       S( sethead(); DONE(id) );
                       S( assert(blk[b]==QUEUE || DEADS(b)); blk[b]=W(me) );
#else
                       S( assert(blk[b]==QUEUE || DEADS(b)); blk[b]=W(me) );
                       S( sethead(); DONE(id) );
#endif
#else
                       S( sethead(); DONE(id) );
#endif
#ifdef M_SPLIT
                       S( hcnt++ );
#endif
#ifdef M_STORED
                       S( unf-- );
#endif
                       S( glock=0; nh=0 );
#ifdef BLOCKS
                       S( assert(bpay[b]==id) );               /* copied outside the lock: still whole */
                       S( assert(blk[b]==W(me)); blk[b]=0; bpay[b]=0; b=0 );
#endif
                       id=0
                 fi
           fi
     fi;
     if :: id!=0 && held ->
#ifdef BLOCKS
           S( b = eblk[e]; assert(bpay[b]==id) );
           S( assert(blk[b]==QUEUE || DEADS(b)); blk[b]=W(me) );
#endif
           S( assert(st[id]==2 && ent[e]==HELD+W(me)); DONE(id); ent[e]=FREE; e=0 );
#ifdef BLOCKS
           S( assert(blk[b]==W(me)); blk[b]=0; bpay[b]=0; b=0 );
#endif
           id=0; held=0;
#ifdef M_STORED
           S( unf-- )
#endif
        :: else -> id=0; e=0; held=0 fi
  od;
endget:                                  /* shut down: who asks again is told so, and looks for the dead */
  atomic { DIRTY -> skip };
  repair();
  goto endget;
dead:
  atomic { w=0; tk=0; x=0; y=0; d=0; id=0; e=0; nh=0; b=0; held=0 };
#ifdef RESPAWN
enddead: attach();
  goto start
#else
enddead2: false
#endif
}

/* ---- the joiner ---- */

proctype Joiner(byte me)
{
  byte w, tk, x, y, d, h; bool busy;
start:
  do
  ::
#ifdef M_STORED
     atomic { zseen = (U==0); busy = (unf!=0) };
#else
#ifdef M_JOINNAIVE
     atomic { zseen = (U==0); busy = (ent[0]!=FREE) };
     atomic { busy = busy || (ent[1]!=FREE) };
     atomic { h = hpos; busy = busy || (ring[h%C]!=0); h=0 };
#else
#ifdef M_JOINONCE
     atomic { zseen = (U==0); h = hpos; busy = (ring[h%C]!=0); h=0 };
     atomic { busy = busy || (ent[0]!=FREE) };
     atomic { busy = busy || (ent[1]!=FREE) };
#else
     atomic { zseen = (U==0); h = hpos };
     atomic { busy = (ent[0]!=FREE) };
     atomic { busy = busy || (ent[1]!=FREE) };
     atomic { busy = busy || (ring[h%C]!=0) };
     atomic { busy = busy || (hpos!=h); h=0 };
#endif
#endif
#endif
     atomic { if :: !busy -> assert(zseen); joined=1; zseen=0; break :: else -> busy=0; zseen=0 fi };
endwait:
#ifdef M_STORED
     atomic { (unf==0 || DIRTY) -> skip };
#else
     atomic { ((ent[0]==FREE && ent[1]==FREE && ring[hpos%C]==0) || DIRTY) -> skip };
#endif
     if :: DIRTY -> repair() :: else fi
  od;
endjoined: false;
dead:
  atomic { w=0; tk=0; x=0; y=0; d=0; h=0; busy=0 };
#ifdef RESPAWN
enddead: attach();
  goto start
#else
enddead2: false
#endif
}

#ifdef SHUT
/* shutdown(immediate), by a participant in the joiner's slot. */
proctype Shutter(byte me)
{
  byte w, tk, x, y, d;
  acquire(plock);
  if :: tk -> tk=0; fixtail() :: else fi;
#ifndef M_SHUTNOSWEEP
  S( need=1 );
#endif
  S( shut=1 );
  S( plock=0 );
  acquire(plock);
  if :: tk -> tk=0; fixtail() :: else fi;
  acquire(glock);
  if :: tk -> tk=0; settle() :: else fi;
  blocks();
  S( glock=0 );
  S( plock=0 );
endshut: false;
dead:
  atomic { w=0; tk=0; x=0; y=0; d=0 };
enddead: false
}
#endif

/* ---- nobody can move: everything must be in order ---- */

proctype Mon()
{
  byte x, y;
endmon:
  atomic { timeout ->
    if :: (alive[G0] || alive[G1]) ->
       assert(ndirty==0 && guard==0 && plock==0 && glock==0);
       x=0; y=hpos;
       do :: ring[y%C]==0 -> break
          :: ring[y%C]==PAD -> y=MOD(y+C-(y%C))
          :: else -> assert(ring[y%C]<=NMSG && x<5); y=MOD(y+LEN(ring[y%C])); x++ od;
       assert(y==tpos);
       assert(tcnt-hcnt==x);
       assert(U == x+(ent[0]!=FREE)+(ent[1]!=FREE));
#ifndef SHUT
       assert(U==0);
       assert(!alive[J0] || joined);
       for (x : 1 .. NMSG) { assert(st[x]==3 || !alive[(x-1)&1] || deaths>0) }
#else
       assert(!shut || U==0);
#endif
#ifdef BLOCKS
       assert(blk[0]==0 && blk[1]==0);   /* no page is lost */
#endif
    :: else
    fi;
    x=0; y=0 }
}

init {
  byte k;
  atomic {
#ifdef START
    k = START;
#else
    select(k : 0 .. C-1);
#endif
    hpos = k; tpos = k;
    k = 0; do :: k<C -> ring[k]=STALE; k++ :: else -> break od;
    ring[tpos%C] = 0;
    k = 0; do :: k<5 -> alive[k]=1; used[k]=1; k++ :: else -> break od; k=0;
    run Mon();
    run Putter(P0); run Putter(P1);
#ifdef ONELEASE
    run Getter(G0,1); run Getter(G1,0);
#else
    run Getter(G0,1); run Getter(G1,1);
#endif
#ifdef SHUT
    joined = 1; run Shutter(J0)
#else
#ifndef NOJOIN
    run Joiner(J0)
#else
    joined = 1
#endif
#endif
  }
}
