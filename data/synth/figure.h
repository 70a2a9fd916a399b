// Draws a person in a pose: a small skeleton in space, seen in perspective.
#pragma once

#include "data/synth/looks.h"
#include "data/synth/motion.h"
#include "data/synth/raster.h"

namespace mg::synth {

void draw_figure(Canvas& canvas, const Person& person, const Scene& scene, const Pose& pose, const Life& life,
                 Vec2 shake);

// How the head is seen: where, how large (pixels a unit) and how turned.
struct HeadView {
  Vec2 center;
  float scale, yaw, pitch, angle;
};
// The parts behind the neck and the shoulders, and the head itself.
void draw_hair_behind(Canvas& canvas, const Person& person, const HeadView& view);
void draw_head(Canvas& canvas, const Person& person, const Scene& scene, const HeadView& view,
               const Life& life);

}  // namespace mg::synth
