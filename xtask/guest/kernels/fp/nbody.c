/* Bodies that attract one another, in double precision: square roots and divisions. */
#include "numbers.h"

#pragma GCC optimize("no-tree-vectorize")

enum { BODIES = 5, STEPS = 1000 };
struct body {
    double x, y, z, vx, vy, vz, mass;
};
static struct body bodies[BODIES];

static void setup(void)
{
    uint64_t state = 9;
    for (int i = 0; i < BODIES; i++) {
        bodies[i] = (struct body){
            10 * random_double(&state), 10 * random_double(&state), 10 * random_double(&state),
            random_double(&state),      random_double(&state),      random_double(&state),
            1 + random_double(&state),
        };
    }
}

static void step(struct body *body, double time)
{
    for (int i = 0; i < BODIES; i++) {
        for (int j = i + 1; j < BODIES; j++) {
            double dx = body[i].x - body[j].x, dy = body[i].y - body[j].y, dz = body[i].z - body[j].z;
            double square = dx * dx + dy * dy + dz * dz + 0.01;
            double force = time / (square * __builtin_sqrt(square));
            body[i].vx -= dx * body[j].mass * force;
            body[i].vy -= dy * body[j].mass * force;
            body[i].vz -= dz * body[j].mass * force;
            body[j].vx += dx * body[i].mass * force;
            body[j].vy += dy * body[i].mass * force;
            body[j].vz += dz * body[i].mass * force;
        }
    }
    for (int i = 0; i < BODIES; i++) {
        body[i].x += time * body[i].vx;
        body[i].y += time * body[i].vy;
        body[i].z += time * body[i].vz;
    }
}

static uint64_t run(uint32_t repeats)
{
    while (repeats--) {
        struct body *all = bodies;
        OPAQUE(all);
        for (int i = 0; i < STEPS; i++)
            step(all, 0.001);
    }
    uint64_t checksum = MIX_START;
    for (int i = 0; i < BODIES; i++)
        checksum = mix_double(mix_double(mix_double(checksum, bodies[i].x), bodies[i].y), bodies[i].z);
    return checksum;
}

const struct kernel nbody = {"nbody", setup, run};
